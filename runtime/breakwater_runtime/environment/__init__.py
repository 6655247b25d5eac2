"""Settings by environment, for processes without Kubernetes."""
