import sys
import torch
import torch.nn.functional as F
from sklearn import datasets, model_selection, preprocessing

torch.manual_seed(int(sys.argv[1]))
iris = datasets.load_iris()
X = torch.tensor(preprocessing.scale(iris.data), dtype=torch.float32)
Y = torch.tensor(iris.target)
X_train, X_test, Y_train, Y_test = model_selection.train_test_split(
    X, Y, test_size=0.4, random_state=int(sys.argv[1]), stratify=Y)

net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
optimizer = torch.optim.LBFGS(net.parameters(), lr=0.1, max_iter=10)


def closure():
    optimizer.zero_grad()
    loss = F.cross_entropy(net(X_train), Y_train)
    loss = loss + 1e-3 * sum((p ** 2).sum() for p in net.parameters())
    loss.backward()
    return loss


for step in range(30):
    optimizer.step(closure)

with torch.no_grad():
    print("score", (net(X_test).argmax(1) == Y_test).float().mean().item())
