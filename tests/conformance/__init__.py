"""What the public client can do, command by command: tables of steps that two people play against one daemon."""
