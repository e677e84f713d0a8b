"""What people read of a run: report.html."""
