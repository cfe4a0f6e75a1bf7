"""Files of usage: how bytes become numbered rows, and rows become requests (M10)."""
