"""Analytics: page views, folded into daily aggregates."""
