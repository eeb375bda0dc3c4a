"""Models in a browser and by OpenAI's interface, from one small server."""
