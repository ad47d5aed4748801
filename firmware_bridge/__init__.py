"""What the agent must not do itself: updates, hardware health, button and watchdog, as a process of its own."""
