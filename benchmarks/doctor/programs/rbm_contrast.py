"""A restricted Boltzmann machine by contrastive divergence, as its free energy."""
import sys
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class RBM(nn.Module):
    def __init__(self, visible=64, hidden=48):
        super().__init__()
        self.W = nn.Parameter(0.05 * torch.randn(hidden, visible))
        self.v_bias = nn.Parameter(torch.zeros(visible))
        self.h_bias = nn.Parameter(torch.zeros(hidden))

    def hidden(self, v):
        return torch.sigmoid(F.linear(v, self.W, self.h_bias))

    def visible(self, h):
        return torch.sigmoid(F.linear(h, self.W.t(), self.v_bias))

    def free_energy(self, v):
        return -v @ self.v_bias - F.softplus(F.linear(v, self.W, self.h_bias)).sum(1)

    @torch.no_grad()
    def gibbs(self, v):
        h = torch.bernoulli(self.hidden(v))
        return torch.bernoulli(self.visible(h))


torch.manual_seed(int(sys.argv[1]))
data = (torch.tensor(load_digits().data) > 7).float()
data = data[torch.randperm(len(data))]
train, test = data[:1400], data[1400:]
rbm = RBM()
optimizer = torch.optim.SGD(rbm.parameters(), lr=0.1, momentum=0.5)
for epoch in range(20):
    for rows in torch.randperm(len(train)).split(50):
        v = train[rows]
        v_model = rbm.gibbs(v)
        loss = rbm.free_energy(v).mean() - rbm.free_energy(v_model).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

rbm.eval()
with torch.no_grad():
    rebuilt = rbm.visible(rbm.hidden(test))
    error = F.mse_loss(rebuilt, test)
    trivial = F.mse_loss(train.mean(0).expand_as(test), test)
print("score", (1 - error / trivial).item())
