"""Live recognition to look at: frames out of files and cameras, pictures of what is recognised."""
