"""Where the components of a model come from: hub, folders, single files; LoRAs read and fused."""
