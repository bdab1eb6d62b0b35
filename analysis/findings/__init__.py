"""What a sweep's runs show before anybody judges it: laws compared, pairs, the map, the plan kept, the theory."""
