"""What every microcluster must do alike, be it the fake or real daemons."""
