"""What keeps a bad server from harming its callers."""
