"""The search space: Architecture (immutable genotype), random sampling, morphisms, reference designs, lowering to a Graph."""
