"""What a sweep's runs show, before claims are judged: laws compared, pairs, the map, plan against actual, theory."""

RESAMPLES = 1000  # behind each interval; here, so that a parser of options has it without what draws them
