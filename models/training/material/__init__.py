"""What is learned from: packages with photographs and clips, crops of them, painted pairs."""
