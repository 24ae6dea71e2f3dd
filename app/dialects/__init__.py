"""The APIs this server speaks, one folder each."""
