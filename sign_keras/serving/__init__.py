"""A model behind HTTP and WebSocket, and the web page that goes with it."""
