"""Sources of images, each decoded once to uint8 tensors."""
