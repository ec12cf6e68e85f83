"""Where lines come from: files read once, logs followed through rotation, standard input."""
