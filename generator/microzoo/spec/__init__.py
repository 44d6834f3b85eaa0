"""Load and validate TOML into frozen specs; JSON Schema for editors."""
