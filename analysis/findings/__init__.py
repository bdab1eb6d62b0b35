"""What a sweep's runs show before anybody judges it: laws compared, pairs, the map, the plan kept, the theory."""

RESAMPLES = 1000  # behind each interval; here, so that a parser of options has it without what draws them
