"""Quality of stored tables: rules, measures, learned expectations, history, alerts, contract changes, mended rows."""
