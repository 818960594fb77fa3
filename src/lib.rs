//! gatewright: a gateway assembled by one YAML file.
