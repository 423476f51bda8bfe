"""How near a result comes to what it should be, after every stage."""
