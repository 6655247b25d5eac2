"""What users write and read: models, conditions, reasons, errors. Pure."""
