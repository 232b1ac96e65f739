"""Where the parts of a model come from: the hub, folders, single files; LoRAs read and fused."""
