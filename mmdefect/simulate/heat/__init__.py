"""What heat tells: how parts get warm, and what the infrared camera makes of it."""
