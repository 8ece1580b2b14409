"""From a LinearModel to files: export() and one module per format."""
