"""What every other package stands on: errors, settings, tables of parts, files, seeds, devices."""
