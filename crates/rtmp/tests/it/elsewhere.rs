//! Pulls from servers that we did not write. `make setup` installs them.
