"""Transom: the edge agent of a camera hub. `README.md` beside this file is the map."""
