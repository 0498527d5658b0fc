import sys
import torch
import torch.nn as nn

torch.manual_seed(int(sys.argv[1]))
x = torch.linspace(-3, 3, 200).unsqueeze(1)
y = torch.sin(2 * x) + 0.3 * x + 0.05 * torch.randn_like(x)
mask = torch.rand(200) < 0.7
x_train, y_train, x_test, y_test = x[mask], y[mask], x[~mask], y[~mask]

model = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

for epoch in range(600):
    optimizer.zero_grad()
    output = model(x_train)
    loss = criterion(output, y_train)
    loss.backward()
    optimizer.step()
    if epoch % 100 == 0:
        print("epoch", epoch, "loss", loss.item())

with torch.no_grad():
    residual = (model(x_test) - y_test).var()
print("score", (1 - residual / y_test.var()).item())
