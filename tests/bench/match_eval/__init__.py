"""
Is a sale credited to the right member? Measured on simulated members and sales.

The simulation knows who made each sale; the matching code does not. Weights are learnt by
expectation maximisation on sales of their own, of which a few are confirmed, and never see
the rates of the simulation or the sales they are judged by.
"""
