"""Looking at results more than once without more false wins than planned."""
