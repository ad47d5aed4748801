"""What cameras show: looked at once a minute, judged, and shown to who wants them."""
