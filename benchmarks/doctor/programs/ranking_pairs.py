# learn a score from comparisons: which of two players won?
import sys
import torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))
features = torch.randn(400, 8)
skill = torch.sin(features[:, 0]) * 2 + features[:, 1] * features[:, 2] - features[:, 3]


def matches(low, high, n):
    a = torch.randint(low, high, (n,))
    b = torch.randint(low, high, (n,))
    won = torch.rand(n) < torch.sigmoid(3 * (skill[a] - skill[b]))
    return a, b, torch.where(won, 1.0, -1.0)


rater = nn.Sequential(nn.Linear(8, 32), nn.LeakyReLU(0.1), nn.Linear(32, 32), nn.LeakyReLU(0.1), nn.Linear(32, 1))
optimizer = torch.optim.RMSprop(rater.parameters(), lr=2e-3)
for step in range(600):
    a, b, outcome = matches(0, 300, 64)
    margin = rater(features[a]).squeeze(1) - rater(features[b]).squeeze(1)
    loss = nn.functional.soft_margin_loss(margin, outcome)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    rating = rater(features[300:]).squeeze(1)
    pairs = torch.combinations(torch.arange(100))
    agree = (rating[pairs[:, 0]] > rating[pairs[:, 1]]) == (skill[300:][pairs[:, 0]] > skill[300:][pairs[:, 1]])
print("score", agree.float().mean().item())
