"""Story two, step by step: one command's clip, from the owner's word to the store's receipt."""
