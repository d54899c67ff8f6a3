"""Documents for people who do not open the dashboard, in the words of its pages."""
