"""What a triager would look for in a pull request, found before they look: its files read from GitHub, judged, and told."""
