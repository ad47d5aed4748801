"""Blank hub to enrolled hub to paired hub: labels, QR codes, claim, enrolment, pairing."""
