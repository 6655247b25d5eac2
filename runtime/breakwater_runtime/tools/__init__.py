"""Which tools there are, who may use them, and the gate that every message passes."""
