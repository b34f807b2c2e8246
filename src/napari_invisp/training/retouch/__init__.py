"""Training of a retouching policy, unpaired, as *Exposure* does (Hu et al., ACM TOG 2018)."""
