"""From a trained or exported model and a video to glosses."""
