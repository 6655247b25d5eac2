"""What the operator and the runtime agree on: settings, metrics, names. Pure, imported by both."""
