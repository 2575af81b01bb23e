"""The console: a storefront to look at answers, and a workshop to look at data, quality and the live bundle."""
