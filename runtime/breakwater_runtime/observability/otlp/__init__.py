"""OpenTelemetry: imported where a collector is configured, and only there."""
