using 'main.bicep'

param languageResource = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/labeling/providers/Microsoft.CognitiveServices/accounts/contoso-language'
param workspace = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/labeling/providers/Microsoft.MachineLearningServices/workspaces/contoso-ml'
param projectStorage = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/labeling/providers/Microsoft.Storage/storageAccounts/contosolabels'
param resourceGroupName = 'labelbridge'
param registryAccount = 'contosolabelbridge'
param clusterIssuer = ''
param operatorGroups = []
param consoleUrl = ''
