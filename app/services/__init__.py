"""What handlers call: experiments, accounts, statistics, the catalogue of defaults."""
