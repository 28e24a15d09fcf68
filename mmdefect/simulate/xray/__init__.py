"""What gets through: the X-ray beam, and the panel behind the part."""
