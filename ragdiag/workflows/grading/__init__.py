"""How good answers are, and how good the graders."""
