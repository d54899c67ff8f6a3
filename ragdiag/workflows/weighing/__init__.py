"""How the parts of a version weigh against each other, learnt from judged questions."""
