"""Weights from rendered pictures alone: frames for a backbone, clips for a whole recogniser."""
